"""What `homebred demo` brings along: specialists with golden sets, a policy and tasks; content only, no code."""
