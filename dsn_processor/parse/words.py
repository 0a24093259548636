"""The words by which reports in plain text give themselves away: casefolded literals, in many languages.

They tell what kind of mail it is, never why a recipient failed: that is the rules' business.
"""

from functools import cache

import ahocorasick

#: Local parts and display names of the programs that return mail.
DAEMONS = (
    "mailer-daemon", "mailerdaemon", "post_master", "poostmaster", "mailer_daemon", "mail-daemon", "maildaemon", "postmaster", "postmast", "mdaemon", "mailadmin",
    "mail delivery sub", "mail delivery system", "mail delivery service", "mail delivery", "mail deliver", "mailsystem", "mail system",
    "delivery-status", "delivery status", "delivery subsystem", "mail administrator", "mail-administrator", "mailmaster", "mail-admin",
    "email delivery", "e-mail delivery", "microsoft exchange", "microsoftexchange", "system administrator", "systemadministrator",
    "internet mail delivery", "mail router", "mail-router", "smtp-gateway", "smtp gateway", "mail gateway", "antispam", "exchange-daemon", "memo.it",
    "bounce@", "bounces@", "mailer@", "mail-error", "mailerror", "uucp@", "mmdf", "pmdf", "returned mail", "undeliver", "delivery failure",
    "delivery notification", "nondelivery", "non-delivery", "autoreply-ndr", "double-bounce", "no-reply@sns", "mailsweeper", "mimesweeper",
    "messaging server", "mailgate", "mail-gate", "mailscanner", "mail scanner", "barracuda", "mailguard", "mailmarshal",
)  # fmt: skip

#: Subjects of reports. One of them alone is a hint, not a proof.
SUBJECTS = (
    "failure notice", "failure notification", "failure delivery", "undeliver", "non-deliver", "nondeliver", "not delivered", "non delivery",
    "returned mail", "returned message", "return mail", "mail returned", "returning message", "message returned", "returned to sender",
    "delivery status", "delivery failure", "delivery fail", "delivery error", "delivery notification", "delivery report", "delivery problem",
    "delivery has failed", "delivery delay", "delivery warning", "delivery impossible", "failed delivery", "failed mail", "fail to deliver",
    "mail delivery", "mail failure", "mail error", "mail system error", "mail could not", "mail not deliver", "mail undeliver", "mail status report",
    "message delivery", "message status", "message undeliver", "message not deliver", "message not sent", "message delayed", "message is delayed",
    "could not be delivered", "could not be sent", "couldn't be delivered", "cannot be delivered", "can not be delivered", "unable to deliver", "unable to send",
    "not yet been delivered", "error sending your mail", "error during delivery", "warning: could not send", "could not send message", "permanent delivery",
    "processing error", "automatically rejected", "rejected mail", "rejected message", "mail rejected", "message rejected", "bounced", "bounce message",
    "user unknown", "host unknown", "unknown user", "unknown address", "nameserver error", "warning: message", "transient failure", "delayed mail", "delayed:",
    "mail delayed", "email bounce", "relayed:", "relay:", "delivered:", "success notice", "problem delivering", "problem with your message", "loop alert", "error sending message",
    "rejected posting", "request to mailing list", "was rejected", "not distributed", "virus found in", "virus in your", "virus in mail", "virus in message", "virus detected", "virus warning",
    "unzustellbar", "zustellung", "nicht zugestellt", "zustellbar", "unzustellbare", "fehler bei der nachricht", "verzögert", "rückläufer",
    "non remis", "non distribu", "échec de", "echec de", "non délivr", "non livr", "retour de courrier", "remise différée", "impossible de remettre", "notification d'état",
    "no se puede entregar", "no entregado", "error de entrega", "devuelto", "no se ha podido entregar", "falló la entrega", "no se pudo entregar", "notificación de estado",
    "não entregue", "não foi entregue", "não entreg", "falha na entrega", "devolvid", "falha de entrega", "retornada", "erro no envio",
    "mancato recapito", "non recapitat", "mancata consegna", "non consegnat", "impossibile recapitare", "errore di consegna", "consegna non riuscita",
    "onbestelbaar", "niet bezorgd", "niet afgeleverd", "kan niet worden bezorgd", "olevererbart", "oleverbart", "kunde inte levereras", "ej levererad",
    "kan ikke leveres", "ikke leveret", "kunne ikke leveres", "toimitus epäonnistui", "ei voitu toimittaa", "niedostarcz", "nie dostarczono", "zwrot", "nie można dostarczyć",
    "nedoručen", "nedoruč", "kézbesíthetetlen", "teslim edilemedi", "iletilemedi", "gönderilemedi", "недостав", "не доставлен", "невозможно доставить", "ошибка доставки",
    "недоставленное", "не может быть доставлено", "μη παραδοτέο", "αποτυχία παράδοσης", "退信", "无法送达", "未送达", "投递失败", "传输失败", "传送失败", "无法投递", "發送失敗", "無法傳遞", "退回",
    "配信不能", "配信できません", "送信できません", "届きません", "エラーメール", "配信エラー", "送信エラー", "不達", "반송", "배달 실패", "전송 실패", "전송되지", "배달되지", "tidak terkirim", "gagal terkirim",
    "không gửi được", "לא ניתן", "تعذر", "فشل",
)  # fmt: skip

#: Words of a report's text that say a delivery failed or waits.
TEXTS = (
    "this is the qmail-send program", "i'm afraid i wasn't able to deliver", "i'm sorry to have to inform you", "created automatically by mail delivery software",
    "created automatically by the mail", "this is the mail system at", "this is the postfix", "the following addresses had", "the following recipient",
    "the following address", "following addresses failed", "delivery to the following", "could not be delivered", "couldn't be delivered", "cannot be delivered", "can not be delivered",
    "was not delivered", "not be delivered", "wasn't delivered", "has not been delivered", "not delivered to", "unable to deliver", "unable to send your message",
    "undeliverable", "undelivered", "did not reach the following", "delivery failed", "delivery failure", "failed to deliver", "failed delivery", "failed to send",
    "could not deliver", "error while delivering", "delivery has failed", "delivery of your", "delivery attempt", "message delivery", "mail delivery", "returned to you",
    "being returned", "was returned", "has been returned", "is returned", "permanent error", "permanent fatal", "fatal error", "transient failure", "user unknown", "unknown user",
    "no such user", "returned mail", "bounced", "mailbox is full", "mailbox unavailable", "does not exist", "doesn't exist", "delivery status notification", "has been delayed",
    "is delayed", "was rejected", "has been rejected", "rejected your message", "recipient rejected", "there was a problem delivering", "non-delivery", "permanent failure",
    "account is over quota", "exceeded storage", "exceeds allowed", "unknown address", "unrouteable", "doesn't have a", "session transcript", "transcript of session", "found a virus", "contains a virus", "contained a virus", "virus was found", "not able to deliver",
    "status: 5.", "wasn't able to", "zugestellt", "zustellung", "zustellen", "distribu", "remis à", "délivr", "entreg", "consegna", "recapit", "bezorg", "levere", "dostarcz",
    "doručen", "доставлен", "доставить", "不存在", "无法", "退回", "配信", "届け", "送信", "존재하지", "배달",
)  # fmt: skip

#: Words that say a report is about a delay; ``FINAL`` words beside them win.
DELAYS = (
    "warning message only", "not yet been delivered", "has not been delivered yet", "not been delivered yet", "delivery attempts will continue",
    "will continue to try", "will keep trying", "will be retried", "will try again", "will retry", "still trying", "attempts will be made", "will be attempted again",
    "do not need to resend", "need not resend", "no action is required", "you do not need to", "don't need to resend", "has been delayed", "is delayed", "delivery is delayed",
    "delayed by more than", "could not yet be delivered", "not yet delivered", "remains undelivered", "delivery delay", "delayed delivery", "temporarily undeliverable",
    "temporary non-delivery", "temporary failure in delivering", "just a warning", "this is only a warning", "(delay)", "delayed 24 hours",
    "wird verzögert", "noch nicht zugestellt", "weitere zustellversuche", "pas encore été", "remise est retardée", "a été retardée", "aún no se ha", "se ha retrasado",
    "ainda não foi", "non è stato ancora", "nog niet bezorgd", "пока не доставлено", "ещё не доставлен", "попытки доставки будут", "延迟", "遅延", "sendmail will try",
)  # fmt: skip
FINAL = (
    "giving up", "given up", "no further attempts", "no longer attempt", "will not be retried", "returned to you", "returning message", "permanent error", "permanent fail", "retry timeout exceeded",
    "message is being returned", "could not be delivered for more than", "has been undeliverable for", "i've given up", "delivery failed", "failed permanently", "delivery has failed",
    "unable to deliver this message after",
)  # fmt: skip

#: Words that say a report tells of success.
SUCCESSES = (
    "successfully delivered", "was delivered to", "has been delivered to", "delivery was successful", "successfully relayed", "has been successfully",
    "relayed to the following", "erfolgreich zugestellt", "delivery receipt", "delivery confirmation",
)  # fmt: skip

#: Subjects of automatic replies.
AUTO_SUBJECTS = (
    "out of office", "out of the office", "out-of-office", "automatic reply", "auto reply", "auto-reply", "autoreply", "auto:", "auto response", "automated reply", "automated response",
    "autoresponse", "vacation", "on holiday", "away from", "i am away", "i'm away", "currently away", "on leave", "maternity leave", "annual leave", "absence", "abwesenheit", "abwesend", "automatische antwort",
    "urlaub", "réponse automatique", "reponse automatique", "absent", "en congé", "respuesta automática", "respuesta automatica", "fuera de la oficina", "vacaciones", "ausencia", "resposta automática",
    "resposta automatica", "ausente", "fora do escritório", "férias", "risposta automatica", "fuori ufficio", "assente", "automatisch antwoord", "afwezig", "autosvar", "automatiskt svar", "frånvar", "fraværende",
    "automatisk svar", "poissa", "automaattinen vastaus", "autoodpowiedź", "odpowiedź automatyczna", "nieobecn", "automatická odpov", "mimo kancelář", "automatikus válasz", "otomatik yanıt", "автоответ", "автоматический ответ",
    "отсутств", "в отпуске", "自动回复", "自動回覆", "自動回复", "自動返信", "自動応答", "不在", "휴가", "부재중", "자동 회신", "자동응답", "thank you for your email", "thank you for contacting", "we have received your", "ticket received",
    "request received", "your request has been received", "trả lời tự động", "balasan otomatis",
)  # fmt: skip

#: Words of challenges: "prove that you are human".
CHALLENGES = (
    "confirm that you are a human", "prove that you are human", "prove you are human", "you are not a spammer", "are a real person", "verify that you are a real", "verify your email by clicking",
    "challenge-response", "challenge/response", "sender verification", "anti-spam verification", "requires confirmation", "please confirm your message", "confirm your message",
    "confirm your email to deliver", "confirm the delivery of your message", "confirmation is required before", "to have your message delivered", "to release your message",
    "is protected by spamarrest", "spam arrest", "spamarrest", "boxbe", "tmda", "bluebottle", "earthlink spamblocker", "spamblocker", "choicemail", "mailblocks", "knowspam", "spamcap",
    "your message will be delivered once", "message is being held until you", "message has been held", "waiting list", "approved sender", "allowed senders list", "bestätigen sie bitte", "confirmez votre message",
    "antispam uol", "para que sua mensagem seja entregue", "para que su mensaje sea entregado", "pour que votre message soit",
    "just this once, click", "protecting myself from receiving junk",
)  # fmt: skip

#: Subjects of notices that a mail system writes about something else than a returned mail.
NOTICES = (
    "smtp server: errors from",
    "log summary",
    "logwatch",
    "pflogsumm",
    "log report",
    "queue report",
    "daily report",
    "quarantine summary",
    "quarantine report",
    "report domain:",
    "uncaught bounce notification",
    "bounce action notification",
    "message frozen",
    "cron <",
    "mail statistics",
    "** problem",
    "** recovery",
    "spam digest",
    "awaits moderator approval",
    "is awaiting moderation",
)

#: Words of complaints that providers write in their own form.
COMPLAINTS = (
    "abuse report",
    "complaint about",
    "spam complaint",
    "feedback report",
    "feedback loop",
    "complaint notification",
    "email feedback",
)


def contains(text: str, words: tuple[str, ...]) -> bool:
    """Whether any of ``words`` stands in ``text`` (casefolded): one pass over it for all of them."""
    return next(_automaton(words).iter(text), None) is not None


@cache
def _automaton(words: tuple[str, ...]) -> ahocorasick.Automaton:
    automaton = ahocorasick.Automaton()
    for word in words:
        automaton.add_word(word, True)
    automaton.make_automaton()
    return automaton
