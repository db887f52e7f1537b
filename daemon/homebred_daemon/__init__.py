"""homebredd: the device daemon that answers at home first and routes by contract."""
