"""The tests, one directory per package, and the rules that hold across all of them."""
