"""Files to text, in a process that can be killed."""
