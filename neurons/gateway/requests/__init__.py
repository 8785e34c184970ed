"""What is true of every request, whoever answers it: its id and headers, how it is refused, and what it may bring."""
