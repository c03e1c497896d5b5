"""From people to a plan: who has which identifier where, and what it takes. Nothing is changed."""
