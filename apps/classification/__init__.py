"""Floor 4: classes of data: who may see what carries one, where it is hidden, how long it is kept."""
