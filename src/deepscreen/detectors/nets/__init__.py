"""Bare networks: nn.Modules without policy."""
