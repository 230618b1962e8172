"""Whether a model's text only says that it will not answer, in English, German, French, Spanish.

A refusal begins with regret or inability and says, in the first person, what is not done. "The
museum is closed, unfortunately" answers something. What is taken for a refusal wrongly costs a
later call; what is missed is served again for as long as its entry lives.
"""

from __future__ import annotations

import re

LONGEST = 600
"""Letters; a longer text that begins with an apology answers something after all."""

_STRAIGHT = str.maketrans(dict.fromkeys("’‘ʼ′`´", "'"))

_BEGINS = re.compile(
    r"\W*(?:"
    # English
    r"(?:i(?:'?m| am)|we(?:'re| are))\s+(?:\w+\s+)?(?:sorry|afraid|unable|not)|sorry|apologies"
    r"|unfortunately|as an? (?:ai|\w+ (?:language )?model|language model)"
    r"|i (?:must |do )?apologi[sz]e"
    r"|i (?:must|have to|need to)\b|my apologies|thank you for|that'?s not something i"
    r"|i\s+(?:can(?:not|t)?|could|won'?t|will not|do(?: not|n'?t)|would(?:n'?t)?)\b"
    r"|i'd rather|it(?:'s| is) not"
    # German
    r"|(?:es )?tut mir (?:sehr )?leid|leider|entschuldig\w*|verzeih\w*|als (?:ki|sprachmodell)"
    r"|ich (?:kann|darf|bin|möchte|werde|muss|bedau\w+)\b|das kann ich|dabei kann ich|bedauer\w*"
    # French
    r"|(?:je suis |je me |toutes mes )?(?:\w+ )?(?:désolée?|desolee?|navrée?|excus\w+)"
    r"|je (?:regrette|ne|dois|m'excuse)|malheureusement|en tant qu'?(?:e )?\w+|pardon"
    # Spanish
    r"|lo (?:siento|lamento)|perdón|perdona|disculp\w*|lamentablemente|desafortunadamente"
    r"|como (?:una? )?(?:ia|modelo|inteligencia|asistente)|no (?:puedo|me|estoy|podré|soy)|lamento"
    r")\b",
    re.IGNORECASE,
)
_DECLINES = re.compile(
    # English
    r"\b(?:can(?:no|')?t|can not|unable|won'?t|will not|decline|not (?:able|allowed|comfortable"
    r"|willing|permitted|appropriate|something i can)|rather not|do(?: not|n'?t) feel comfortable)"
    r"\b[^.!?]{0,60}\b(?:help|assist|answer|compl\w+|provid\w+|do (?:that|this|it)|discuss"
    r"|fulfil\w*|respond|share|creat\w+|generat\w+|engag\w+|support|continue|write|offer|give"
    r"|process|participate)\b"
    r"|\bi (?:must|have to|need to) (?:\w+ )?decline\b"
    # German
    r"|\b(?:kann|könnte|darf|möchte|werde|will)\b[^.!?]{0,60}\b(?:nicht|keine\w*)\b[^.!?]{0,60}"
    r"\b(?:\w*helfen|beantworten|unterstützen|nachkommen|bereitstellen|erstellen|behilflich|dienen"
    r"|tun|ausführen|geben|bearbeiten|anbieten|erfüllen|antworten|schreiben|teilen)\b"
    r"|\bnicht (?:in der lage|möglich|befugt|imstande)\b|\bablehnen\b"
    # French
    r"|\bne (?:peux|puis|suis|pourrai|saurais)\b[^.!?]{0,30}?(?:\bpas\b|\bni\b)?[^.!?]{0,60}"
    r"\b(?:aider|répondre|fournir|assister|traiter|discuter|faire|créer|générer|suite|satisfaire"
    r"|partager|donner|accéder|écrire|mesure|capable|autorisée?)\b"
    r"|\bdois (?:décliner|refuser)\b"
    # Spanish
    r"|\bno (?:puedo|podré|me es posible|estoy|soy|se me permite|me permiten?)\b[^.!?]{0,60}"
    r"\b(?:ayudar\w*|asistir\w*|responder\w*|proporcionar\w*|hacer\w*|crear|generar|cumplir"
    r"|discutir|ofrecer\w*|compartir|dar\w*|escribir|capaz|autorizad[oa]|condiciones)\b"
    r"|\bdebo (?:declinar|rechazar)\b",
    re.IGNORECASE,
)


def is_refusal(text: str) -> bool:
    """Whether a text is nothing but a refusal."""
    said = " ".join(text.translate(_STRAIGHT).split())
    return bool(len(said) <= LONGEST and _BEGINS.match(said) and _DECLINES.search(said))
