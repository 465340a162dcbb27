def suggest(path): return ""
