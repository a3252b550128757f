"""The environments of dispatchgym: importing this registers them with Gymnasium."""

import gymnasium

from .core.registry import Family, families, register

# Jobs with fixed routes over machines; the classic makespan problem.
register(
    Family(
        name="job_shop",
        naive="fifo",
        package="dispatchgym.envs.job_shop",
        instances="dispatchgym.instances.job_shop",
        baselines="dispatchgym.baselines.job_shop",
        environments={"dispatchgym/JobShop-v0": {}},
    )
)

# Task graphs on heterogeneous processing elements: planned as a whole, or executed as time passes.
register(
    Family(
        name="soc",
        naive="olb",
        package="dispatchgym.envs.soc",
        instances="dispatchgym.instances.soc",
        baselines="dispatchgym.baselines.soc",
        environments={"dispatchgym/SoC-v0": {}},
    )
)

# Virtual machines on hosts, moved so that what is free adds up to whole slots.
register(
    Family(
        name="vm",
        naive="no-op",
        package="dispatchgym.envs.vm",
        instances="dispatchgym.instances.vm",
        baselines="dispatchgym.baselines.vm",
        environments={"dispatchgym/VMRescheduling-v0": {}},
        differences=True,
    )
)

# Requests to servers of a language model: who joins the batch, when, and on which server.
register(
    Family(
        name="llm",
        naive="fcfs",
        package="dispatchgym.envs.llm",
        instances="dispatchgym.instances.llm",
        baselines="dispatchgym.baselines.llm",
        environments={"dispatchgym/LLMAdmission-v0": {}},
    )
)

# Jobs whose operations choose among machines, each with a time of its own.
register(
    Family(
        name="flexible_job_shop",
        naive="fifo/free",
        package="dispatchgym.envs.flexible_job_shop",
        instances="dispatchgym.instances.flexible_job_shop",
        baselines="dispatchgym.baselines.flexible_job_shop",
        environments={"dispatchgym/FlexibleJobShop-v0": {}},
    )
)

for entry in families():
    for name, arguments in entry.environments.items():
        gymnasium.register(
            id=name,
            entry_point=f"{entry.package}.env:Env",
            vector_entry_point=f"{entry.package}.env:VectorEnv",
            kwargs=arguments,
        )
