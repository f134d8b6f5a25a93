"""The part of dice-extended that works inside Alibi.

Not here yet: the two GAN auditors, plausible counterfactuals of images and the joint
counterfactual GAN. Until they are, the package is a plugin that registers nothing.
"""
