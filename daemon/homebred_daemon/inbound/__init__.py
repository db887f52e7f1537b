"""What the callers' side works with: values, and the services as Protocols.

The gRPC face speaks these; a gateway will speak the same. What the services need of the world stands in `ports`.
"""
