"""What events mean for an address: its state, whether it is suppressed, when to try again. Pure: the time is a parameter."""
