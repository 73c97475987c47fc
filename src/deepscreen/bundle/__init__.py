"""Case bundles: everything about a case in one signed file that proves itself."""
