"""The daemon's gRPC face: servicers that translate, call a service, and map errors to rich status."""
