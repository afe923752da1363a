"""Parts of the methods of the second order: what gives a direction or a model, and what says how far to go."""
