"""What a result must show before a model may trade, and how the verdict on it is sealed."""
