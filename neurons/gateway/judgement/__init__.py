"""One answer from several miners': how far each can be trusted by the validator's own rounds, and what follows."""
