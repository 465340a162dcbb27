"""The loop after the evidence: releases, released models answering, reviews of what they said."""
