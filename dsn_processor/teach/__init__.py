"""Teaching the rules: their samples, what is wrong with them, an operator's own file, and the list of them all."""
