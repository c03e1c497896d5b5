"""The wire: requests out, answers in. Nothing else in the library opens a socket."""
