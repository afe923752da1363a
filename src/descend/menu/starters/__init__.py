"""What `descend new` writes: for each family a member that works, with comments, to be changed by the user."""
