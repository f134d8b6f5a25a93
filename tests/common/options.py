"""What makes each registered component small and quick, by its name."""

SMALL_SEARCH = {"population": 16, "generations": 4, "max_rows": 150}

BINARY = {"posthoc_sparsity_algorithm": "binary"}

OPTIONS = {
    "gradient": {
        "call": {"min_iter": 10, "max_iter": 30, "learning_rate": 0.1, **BINARY},
        "init": {"report_draws": 16},
    },
    "nsga3": {"call": {"population": 8, "generations": 3, "max_rows_per_query": 120}},
    "unconstrained_counterfactual": {"init": SMALL_SEARCH},
    "boundary_counterfactual": {"init": SMALL_SEARCH},
    "counterfactual_margin": {
        "init": {
            "max_rounds": 1,
            "max_analysis_rows": 6,
            "expansion": [0.5],
            "attack_params": {"population": 8, "generations": 3, "max_rows": 60},
        }
    },
    "counterfactual_robustness": {
        "call": {
            "attack_params": {"population": 8, "generations": 3, "max_rows": 60},
            "attack": None,
        }
    },
}


def add_alibi_options():
    """Options that need torch; they replace the component's own defaults."""
    from alibi_bridge.attgan import AttGAN
    from alibi_bridge.attgan.training import Schedule
    from alibi_bridge.counterfactual_gan.settings import Settings

    OPTIONS["plausible_counterfactual"] = {
        "init": {
            "networks": AttGAN.small(
                ["bright", "striped"],
                32,
                width=4,
                schedule=Schedule(critic_steps=1, judge_steps=20),
            ),
            "budget": 60,
            "pop_size": 10,
            "allow_dead": True,
            "skip_misread_reconstructions": False,
        },
        "fit": {"steps": 1},
    }
    OPTIONS["counterfactual_gan"] = {
        "init": {
            "generator_options": {"width": 4},
            "discriminator_options": {"width": 8},
            "settings": Settings.paper(batch_size=8, warmup=4, validate_every=4, cycles=1),
        },
        "fit": {"steps": 8},
    }


def add_job_options():
    """What the factories of the job tasks return, and rows."""
    from dice_extended_plugin.checks.arrays import arrays
    from dice_extended_plugin.checks.tables import table

    def explain():
        given = table()
        return given.data, given.model

    def attack():
        given = arrays()
        return given.classifier, given.x_train, given.y_train

    OPTIONS["explain"] = {
        "init": {"made": explain, "options": {"method": "random", "total_CFs": 2}},
        "call": {"rows": table().queries},
    }
    for name in ("attack", "analyse"):
        OPTIONS[name] = {
            "init": {"made": attack, "options": {**SMALL_SEARCH}},
            "call": {"rows": arrays().x},
        }
