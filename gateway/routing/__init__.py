"""How likely a cheap model answers a prompt as well as a strong one, told from its surface.

Few features that grow with difficulty (length of the longest line, of the longest sentence, words,
negations, clauses, persons), each standardised, added with weights *set by design*, then
calibrated: the probability is logistic in that sum. Weights that were fitted to outcomes did worse
on subjects left out, because subjects differ in what makes them hard (share of the gap recovered,
8 779 questions: 0.63 with these weights, 0.60 with fitted positive ones, 0.54 with a ridge over 24
features, 0.60 by length alone). Training therefore learns centre, scale and calibration.
"""
