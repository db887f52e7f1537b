"""Wires the controller: the only place that sees services and adapters together."""
