"""The engine: takes computations from the queue and has them done."""
