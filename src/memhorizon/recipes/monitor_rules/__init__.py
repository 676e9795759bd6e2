"""When to stop and what to ship: the monitor beside the rules that people use."""
