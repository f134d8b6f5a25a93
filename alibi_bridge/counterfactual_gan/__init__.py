"""The joint counterfactual GAN: classifier, generator and uncertainty score from one training.

Import from the modules: :mod:`~alibi_bridge.counterfactual_gan.model` holds ``JointGAN``.
"""
