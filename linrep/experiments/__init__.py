"""One file for each table or figure of the paper, and for each extension."""
