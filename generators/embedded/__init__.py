"""The generators that ship with the project and run on a processor, offline: images, twins and clips."""
