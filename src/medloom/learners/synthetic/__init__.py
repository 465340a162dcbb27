"""Generators: tables learned and sampled anew."""
