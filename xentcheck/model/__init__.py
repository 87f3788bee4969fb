"""The data types: frozen values that the packages pass to each other.

A module of this package is imported when one of its names is first asked for.
"""

from typing import TYPE_CHECKING

from xentcheck.deferred import names_of

if TYPE_CHECKING:
    from xentcheck.model.causes import ABOUT_CAUSES, AboutCause, Cause
    from xentcheck.model.contests import Contest, Encounter
    from xentcheck.model.diagnosis import (
        Attainable,
        Diagnosis,
        Explained,
        Explanation,
        Fault,
        Proof,
        SafeRange,
        ShownStep,
        Stretch,
    )
    from xentcheck.model.grades import ABOUT_GRADES, GRADES, Grade, rank
    from xentcheck.model.implementation import (
        ANY_PARAMETER,
        AUTO,
        UNREACHABLE,
        Implementation,
        Process,
        Target,
        escaped,
        function_for,
        selected,
    )
    from xentcheck.model.inputs import (
        ADAPTIVE,
        SHRUNK,
        Accepts,
        Array,
        Case,
        Domain,
        Float64Array,
        InputSpec,
        LabelKind,
        Layout,
        Option,
        Parameter,
        ParameterKind,
        ParameterValue,
        Quantity,
        Sweep,
        reduces,
    )
    from xentcheck.model.kinds import (
        ABOUT,
        AGAINST,
        BREAKING,
        DECIDED_BY_GRADE,
        IN_TOLERANCE,
        KINDS,
        MAX_NORM,
        MIN_GRADE,
        NOTES,
        NOTIONS,
        OF_CALLS,
        P99,
        RIGHT,
        RULES,
        UNSTEADY,
        WITHOUT_RESULT,
        About,
        Kind,
        gravity,
        kind_of,
    )
    from xentcheck.model.limits import OTHER_BOUNDS, SURVEY_TOLERANCE, Config, Limit, Tolerance
    from xentcheck.model.profiles import Profile, ProfileBin
    from xentcheck.model.results import (
        Cell,
        Change,
        Finding,
        Input,
        Measurement,
        ProbeLine,
        ProbeNumber,
        ProbeProgress,
        ProbeResult,
        Progress,
        Report,
        Scored,
        Skip,
        Source,
        Standing,
        Violation,
        Witness,
        Yield,
    )
    from xentcheck.model.searched import Improvement, Searched
    from xentcheck.model.usual import UsualTest
else:
    __getattr__ = names_of(
        __name__,
        {
            "causes": "ABOUT_CAUSES AboutCause Cause",
            "contests": "Contest Encounter",
            "diagnosis": (
                "Attainable Diagnosis Explained Explanation Fault Proof SafeRange ShownStep Stretch"
            ),
            "grades": "ABOUT_GRADES GRADES Grade rank",
            "implementation": (
                "ANY_PARAMETER AUTO UNREACHABLE Implementation Process Target escaped "
                "function_for selected"
            ),
            "inputs": (
                "ADAPTIVE SHRUNK Accepts Array Case Domain Float64Array InputSpec LabelKind "
                "Layout Option Parameter ParameterKind ParameterValue Quantity Sweep reduces"
            ),
            "kinds": (
                "ABOUT AGAINST BREAKING DECIDED_BY_GRADE IN_TOLERANCE KINDS MAX_NORM "
                "MIN_GRADE NOTES NOTIONS OF_CALLS P99 RIGHT RULES UNSTEADY WITHOUT_RESULT "
                "About Kind gravity kind_of"
            ),
            "limits": "OTHER_BOUNDS SURVEY_TOLERANCE Config Limit Tolerance",
            "profiles": "Profile ProfileBin",
            "results": (
                "Cell Change Finding Input Measurement ProbeLine ProbeNumber ProbeProgress "
                "ProbeResult Progress Report Scored Skip Source Standing Violation Witness Yield"
            ),
            "searched": "Improvement Searched",
            "usual": "UsualTest",
        },
    )

__all__ = [
    "ABOUT",
    "ABOUT_CAUSES",
    "ABOUT_GRADES",
    "ADAPTIVE",
    "AGAINST",
    "ANY_PARAMETER",
    "AUTO",
    "BREAKING",
    "DECIDED_BY_GRADE",
    "GRADES",
    "IN_TOLERANCE",
    "KINDS",
    "MAX_NORM",
    "MIN_GRADE",
    "NOTES",
    "NOTIONS",
    "OF_CALLS",
    "OTHER_BOUNDS",
    "P99",
    "RIGHT",
    "RULES",
    "SHRUNK",
    "SURVEY_TOLERANCE",
    "UNREACHABLE",
    "UNSTEADY",
    "WITHOUT_RESULT",
    "About",
    "AboutCause",
    "Accepts",
    "Array",
    "Attainable",
    "Case",
    "Cause",
    "Cell",
    "Change",
    "Config",
    "Contest",
    "Diagnosis",
    "Domain",
    "Encounter",
    "Explained",
    "Explanation",
    "Fault",
    "Finding",
    "Float64Array",
    "Grade",
    "Implementation",
    "Improvement",
    "Input",
    "InputSpec",
    "Kind",
    "LabelKind",
    "Layout",
    "Limit",
    "Measurement",
    "Option",
    "Parameter",
    "ParameterKind",
    "ParameterValue",
    "ProbeLine",
    "ProbeNumber",
    "ProbeProgress",
    "ProbeResult",
    "Process",
    "Profile",
    "ProfileBin",
    "Progress",
    "Proof",
    "Quantity",
    "Report",
    "SafeRange",
    "Scored",
    "Searched",
    "ShownStep",
    "Skip",
    "Source",
    "Standing",
    "Stretch",
    "Sweep",
    "Target",
    "Tolerance",
    "UsualTest",
    "Violation",
    "Witness",
    "Yield",
    "escaped",
    "function_for",
    "gravity",
    "kind_of",
    "rank",
    "reduces",
    "selected",
]
