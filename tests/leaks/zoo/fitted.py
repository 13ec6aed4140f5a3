"""Classes of which the fit or what is made of it knows what comes later."""

import numpy as np


def returns(bars):
    return bars["close"].pct_change().fillna(0.0)


class PeekingTargets:
    """The fit is honest, the targets are not."""

    def fit(self, bars):
        self.deep = returns(bars).quantile(0.2)

    def targets(self, bars):
        after = returns(bars).shift(-1).fillna(0.0)
        return (after > -self.deep).astype(float)


class ScalesOnEverything:
    """What fit learnt is thrown away for the mean and deviation of the whole span."""

    def fit(self, bars):
        self.mean, self.deviation = bars["close"].mean(), bars["close"].std()

    def targets(self, bars):
        self.fit(bars)
        return (-(bars["close"] - self.mean) / self.deviation).clip(-1, 1)


class RegressesOnEverything:
    """A regression on the last return, fitted anew on every row whose targets are asked for."""

    def fit(self, bars):
        self.weight = 0.0

    def targets(self, bars):
        past, now = returns(bars).to_numpy()[:-1], returns(bars).to_numpy()[1:]
        self.weight = (past @ now) / (past @ past)
        return np.sign(self.weight * returns(bars))


class SmoothedStates:
    """A hidden Markov chain fitted on training rows; its states are those that all bars together suggest."""

    def fit(self, bars):
        from hmmlearn.hmm import GaussianHMM

        seen = self.seen(bars)
        self.chain = GaussianHMM(2, n_iter=5, init_params="", random_state=0)  # calm first, by where it starts
        self.chain.startprob_ = np.array([0.5, 0.5])
        self.chain.transmat_ = np.array([[0.95, 0.05], [0.05, 0.95]])
        self.chain.means_ = np.quantile(seen, [0.25, 0.9], axis=0)
        self.chain.covars_ = np.full((2, 1), seen.var())
        self.chain.fit(seen)

    @staticmethod
    def seen(bars):
        return np.c_[100 * returns(bars).rolling(6, min_periods=1).sum().abs()]

    def targets(self, bars):
        return self.chain.predict_proba(self.seen(bars))[:, 0].round(6)


class ViterbiStates(SmoothedStates):
    """The same with the likeliest path of states."""

    def targets(self, bars):
        return (self.chain.predict(self.seen(bars)) == 0).astype(float)


class RemembersInTheClass:
    """The class, unlike its instances, lives on: it keeps the longest frame."""

    longest = None

    def fit(self, bars):
        self.n = 24

    def targets(self, bars):
        kind = type(self)
        if kind.longest is None or len(bars) > len(kind.longest):
            kind.longest = bars.copy()
        after = returns(kind.longest).shift(-1).reindex(bars.index).fillna(0.0)
        return np.sign(after)
