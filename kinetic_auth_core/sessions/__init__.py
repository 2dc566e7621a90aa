"""The live session: one for all threads, tasks and processes, and how the next one is obtained."""
