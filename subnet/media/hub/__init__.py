"""Real media from the Hugging Face hub: which sets, how they are read, how politely."""
