"""Who does it later: claims jobs, runs the engine in a child process, ends them."""
