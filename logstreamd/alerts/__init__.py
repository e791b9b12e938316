"""Rules over what is stored → alerts that fire once, say why, and resolve."""
