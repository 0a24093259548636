"""What a report is about among all that we sent, and how far that is proven: pure. docs/correlation.md tells it in prose."""
