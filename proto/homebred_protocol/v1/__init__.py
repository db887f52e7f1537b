"""Generated messages and service stubs of the wire package `homebred.v1`."""
