"""The page's last section: what the figures mean and how to get them again."""

from html import escape

from worldmodel.validate.labels import seconds
from worldmodel.validate.result import Result

_DEFINITIONS = {
    "RMSE": (
        "Root mean square error of the members' mean, in the stream's unit, over all starts, at one horizon; a "
        "stream whose columns have several units has one for each column. "
        "Angles that wrap are compared the short way round. A stream that is slower than the time step is "
        "scored over one of its own sample intervals up to the horizon, and every prediction is asked for the moment "
        "at which the sample was really taken."
    ),
    "NRMSE": (
        "RMSE over the standard deviation of what really came, column by column, then the root mean square "
        "over the columns that moved in training and move here. Above 1 a prediction is worse than naming the average."
    ),
    "Position error": "Root mean square of the horizontal distance in metres; altitude does not count in it.",
    "Percent of the distance": "Position error over the root mean square of the distance travelled since the start.",
    "CRPS": (
        "Continuous ranked probability score of the sampled futures against the readings, in the stream's unit or "
        "(normalised) in standard deviations, in its fair form that does not favour many members. Of a single "
        "prediction it is the absolute error."
    ),
    "Weights": (
        "All figures of a stream are over the same readings and the same columns, each of which weighs the same once "
        "it is divided by its standard deviation: no unit is large enough to drown another."
    ),
    "Coverage": "The share of readings, sensor noise included, inside the central interval of the sampled futures.",
    "Spread over skill": "Standard deviation of the members over the RMSE of their mean: 1 if they are the same.",
    "PSNR": "Peak signal-to-noise ratio of the members' mean frame in dB, of the mean squared error over all frames.",
    "SSIM": "Structural similarity of the members' mean frame (Wang et al. 2004), averaged over frames: 1 if equal.",
    "Intervals": (
        "95 % bootstrap intervals over whole episodes. The summary says 'clearly' where the interval of the "
        "difference of two NRMSEs over the same resampled episodes excludes 0, and 'within the noise' where it "
        "does not. Figures without an interval, such as PSNR, are only called better or worse."
    ),
    "Action sensitivity": (
        "The model's error with each start given another start's actions, over its error with its own. Near "
        "1, the model ignores the actions, or they do not matter within the horizon."
    ),
}
_BASELINES = (
    "The mean is the average of the training data, whatever was seen; hold last repeats the newest reading; constant "
    "velocity goes on along a line fitted to the newest readings; the linear model is the better of two ridge "
    "regressions at each horizon, one step rolled out and straight to the tick, on what the world model sees; dead "
    "reckoning integrates speed and turning. All are fitted to the same training data. For video, hold last is the "
    "last frame seen, and the mean is the mean training frame. Predictors with other names are the user's."
)


def how_measured(result: Result) -> str:
    """Definitions, truth, baselines and the command, as HTML."""
    definitions = "".join(f"<dt>{term}</dt><dd>{escape(text)}</dd>" for term, text in _DEFINITIONS.items())
    return (
        f"<p>{escape(_problem(result))}</p><p>{escape(_truth(result))}</p><p>{escape(_BASELINES)} "
        f'{escape(" ".join(result.notes))}</p><dl class="terms">{definitions}</dl>'
        f"<h3>To get this page again</h3>{_again(result)}"
    )


def _problem(result: Result) -> str:
    problem = result.setting
    text = (
        f"{problem.starts} starts in {problem.episodes} episodes. At each, a predictor sees the last "
        f"{seconds(problem.context_s)} of every stream, then nothing but the actions for "
        f"{seconds(problem.horizon_s)}."
    )
    if problem.kind == "counterfactual":
        return f"{text} The worlds and the actions are new to it. {problem.actions}"
    return f"{text} The figures speak for new recordings only if the model was not trained on these."


def _truth(result: Result) -> str:
    if result.setting.truth == "noise-free":
        return (
            "RMSE, NRMSE and position error are measured against the simulator's readings free of noise; CRPS, "
            "coverage and calibration against the noisy readings, which are what the model foretells."
        )
    return (
        "Everything is measured against the readings as recorded: even a perfect prediction keeps the sensors' noise."
    )


def _again(result: Result) -> str:
    problem, made = result.setting, result.provenance
    source = f"--scene {problem.name}" if problem.kind == "counterfactual" else f"--log {problem.name}.h5"
    options = f"--horizon {problem.horizon_s:.6g} --seed {made.validation_seed}{' --outages' * bool(result.outages)}"
    command = f"worldmodel validate RUN {source} {options} --out REPORT"
    return (
        f"<pre>{escape(command)}</pre><p>RUN is the folder of the training run (seed {escape(str(made.seed))}, "
        f"worldmodel {escape(made.code_version)}). The data's SHA-256 is <code>{escape(made.data_sha256)}</code>.</p>"
    )
