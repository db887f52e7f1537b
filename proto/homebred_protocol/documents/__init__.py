"""Documents that people write and parts exchange: task, registry, policy, site ceiling, specialist."""
