"""The part of dice-extended that works inside the Adversarial Robustness Toolbox (ART).

Not here yet: the counterfactual attacks, the robustness metrics and the adversarial-training
defence. Until they are, the package is a plugin that registers nothing.
"""
