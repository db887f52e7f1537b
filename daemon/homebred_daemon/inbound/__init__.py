"""What the callers' side works with: values, and the services as Protocols.

The gRPC face and the OpenAI-compatible gateway speak these. What the services need of the world stands in `ports`.
"""
