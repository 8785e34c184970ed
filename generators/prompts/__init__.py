"""Where prompts come from: real pictures captioned and rephrased by language models, or a grammar that needs none."""
