"""What may serve here and how it gets there: looks at what is signed, transfer, installs, gate, shadow, probation."""
