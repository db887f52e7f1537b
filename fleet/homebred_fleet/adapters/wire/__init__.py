"""The fleet's messages as bytes: read with hard bounds, so that no device can do more than be refused; and written."""
