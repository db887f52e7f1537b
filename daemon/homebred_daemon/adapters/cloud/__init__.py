"""The wire formats of cloud models, without I/O: `egress` alone carries what they say."""
