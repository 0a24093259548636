"""The words by which reports in plain text give themselves away: casefolded literals, in many languages.

They tell what kind of mail it is, never why a recipient failed: that is the rules' business.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import cast

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
    "messaging server", "mail server at", "antivirus_for_smtp", "mailgate", "mail-gate", "mailscanner", "mail scanner", "barracuda", "mailguard", "mailmarshal",
)  # fmt: skip

#: Those of them that no other mail is sent from: what they wrote and somebody sends on is a report.
RETURNERS = (
    "mailer-daemon", "mailerdaemon", "mailer_daemon", "postmaster@", "mail delivery s", "mail delivery system", "microsoftexchange", "microsoft outlook", "system administrator", "mdaemon@", "mail system <", "delivery subsystem",
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
    "banned contents", "rejected posting", "denied: ", "request to mailing list", "was rejected", "not distributed", "virus found in", "virus in your", "virus in mail", "virus in message", "virus detected", "virus warning",
    "unzustellbar", "zustellung", "nicht zugestellt", "zustellbar", "unzustellbare", "fehler bei der nachricht", "verzögert", "rückläufer",
    "non remis", "non distribu", "échec de", "echec de", "non délivr", "non livr", "retour de courrier", "remise différée", "impossible de remettre", "notification d'état",
    "no se puede entregar", "no entregado", "error de entrega", "devuelto", "no se ha podido entregar", "falló la entrega", "no se pudo entregar", "notificación de estado",
    "não entregue", "não foi entregue", "não entreg", "falha na entrega", "devolvid", "falha de entrega", "retornada", "erro no envio",
    "mancato recapito", "non recapitat", "mancata consegna", "non consegnat", "impossibile recapitare", "errore di consegna", "consegna non riuscita",
    "onbestelbaar", "niet bezorgd", "niet afgeleverd", "kan niet worden bezorgd", "olevererbart", "oleverbart", "kunde inte levereras", "ej levererad",
    "kan ikke leveres", "ikke leveret", "kunne ikke leveres", "toimitus epäonnistui", "ei voitu toimittaa", "niedostarcz", "nie dostarczono", "zwrot", "nie można dostarczyć",
    "nedoručen", "nedoruč", "kézbesíthetetlen", "teslim edilemedi", "iletilemedi", "gönderilemedi", "недостав", "не доставлен", "невозможно доставить", "ошибка доставки",
    "недоставленное", "не может быть доставлено", "μη παραδοτέο", "αποτυχία παράδοσησ", "退信", "无法送达", "未送达", "投递失败", "传输失败", "传送失败", "无法投递", "發送失敗", "無法傳遞", "退回",
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
    "could not deliver", "error while delivering", "delivery has failed", "delivery of your", "delivery attempt", "message delivery", "mail delivery", "delivery of the", "banned contents", "was blocked", "has been blocked", "returned to you",
    "being returned", "was returned", "has been returned", "is returned", "permanent error", "permanent fatal", "fatal error", "transient failure", "user unknown", "unknown user",
    "no such user", "returned mail", "denied message", "bounced", "mailbox is full", "mailbox unavailable", "does not exist", "doesn't exist", "delivery status notification", "has been delayed",
    "is delayed", "was rejected", "has been rejected", "rejected your message", "recipient rejected", "there was a problem delivering", "non-delivery", "permanent failure",
    "account is over quota", "exceeded storage", "exceeds allowed", "unknown address", "unrouteable", "doesn't have a", "session transcript", "transcript of session", "found a virus", "contains a virus", "contained a virus", "virus was found", "not able to deliver",
    "status: 5.", "wasn't able to", "zugestellt", "zustellung", "zustellen", "distribu", "remis à", "délivr", "entreg", "consegna", "recapit", "bezorg", "levere", "dostarcz",
    "doručen", "доставлен", "доставить", "不存在", "无法", "退回", "配信", "届け", "送信", "존재하지", "배달",
)  # fmt: skip

#: How the texts of reports begin that mail systems write, and nobody else.
OPENINGS = (
    "this is the qmail-send program", "this is the mail system at", "this is the postfix program", "this message was created automatically by", "a message that you sent could not be delivered", "your message was not delivered to", "your message to <", "your message to the ", "your message could not be delivered to", "your message did not reach",
    "delivery has failed to these recipients", "delivery to the following recipient", "this is an automatically generated delivery status", "this report relates to a message you sent", "the original message was received at", "i'm sorry to have to inform you", "i'm afraid i wasn't able", "sorry, we were unable to deliver",
    "the following addresses had", "the following recipient", "your message cannot be delivered", "this is the sendmail", "your mail message to the following", "----- the following addresses", "message from yahoo", "the message you sent to", "ihre nachricht konnte", "folgende empfänger", "votre message n'a pas", "no se ha podido entregar",
    "su mensaje no", "sua mensagem não", "il messaggio non", "uw bericht kon niet", "ваше сообщение не", "以下の宛先", "您的邮件", "您發送的",
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

#: How the subject of an automatic reply begins; what follows is mostly the subject that it answers.
AUTO_PREFIXES = (
    "automatic reply", "automated reply", "automatic response", "automated response", "auto reply", "auto-reply", "autoreply", "auto response", "autoresponse", "auto-response", "auto: ", "out of office", "out-of-office",
    "out of the office", "automatische antwort", "automatische reaktion", "automatische rückantwort", "abwesenheitsnotiz", "abwesenheits", "abwesend:", "réponse automatique", "reponse automatique", "réponse d'absence",
    "message d'absence", "répondeur", "notification d'absence", "respuesta automática", "respuesta automatica", "fuera de la oficina", "resposta automática", "resposta automatica", "fora do escritório", "ausente do escritório", "aviso de ausência", "risposta automatica", "fuori ufficio",
    "automatisch antwoord", "automatisch bericht", "afwezigheid", "afwezig:", "autosvar", "automatiskt svar", "automatisk svar", "frånvaro", "fravær", "automaattinen vastaus", "poissaoloilmoitus", "autoodpowiedź", "odpowiedź automatyczna", "automatyczna odpowiedź",
    "automatická odpov", "automatikus válasz", "automatski odgovor", "samodejni odgovor", "automatinis atsakymas", "automātiskā atbilde", "automaatvastus", "răspuns automat", "automatyczn", "otomatik yanıt", "otomatik cevap", "автоответ", "автоматический ответ", "автоматична відповідь",
    "автоматичен отговор", "аутоматски одговор", "αυτόματη απάντηση", "自动回复", "自动答复", "自動回覆", "自動回复", "自動返信", "自動応答", "不在通知", "자동 회신", "자동 응답", "자동응답", "부재중", "trả lời tự động", "balasan otomatis", "ตอบกลับอัตโนมัติ", "การตอบกลับอัตโนมัติ", "رد تلقائي", "الرد التلقائي", "תשובה אוטומטית", "מענה אוטומטי",
    "پاسخ خودکار", "स्वचालित उत्तर",
)  # fmt: skip

#: Words of the subjects of automatic replies. People use them too: a header has to say the same.
AUTO_SUBJECTS = (
    *AUTO_PREFIXES,
    "auto:", "vacation", "on holiday", "away from", "i am away", "i'm away", "currently away", "on leave", "maternity leave", "annual leave", "absence", "abwesenheit", "abwesend",
    "urlaub", "absent", "en congé", "vacaciones", "ausencia", "ausente", "férias", "assente", "in ferie", "afwezig", "frånvar", "semester", "fraværende", "på ferie",
    "poissa", "lomalla", "nieobecn", "urlop", "mimo kancelář", "dovolen", "szabadság", "concediu", "izinde", "отсутств", "в отпуске", "відпустці", "αδεια", "άδεια", "不在", "休假", "休暇", "휴가", "thank you for your email", "thank you for contacting", "thank you for your message",
    "we have received your", "we received your", "ticket received", "ticket created", "case created", "new ticket", "request received", "your request has been received", "message received", "empfangsbestätigung", "eingangsbestätigung", "ihre anfrage", "votre demande", "su solicitud", "no longer monitored", "no longer with",
    "nghỉ phép", "cuti",
)  # fmt: skip

#: Words of a text in which its writer says to be away, gone or a machine.
ABSENCES = (
    "i am out of", "i'm out of", "i will be out of", "i'll be out of", "currently out of", "out of the office until", "out of the office from", "out of the office with", "out of office until", "out of office from", "i am on vacation", "i'm on vacation", "on annual leave", "on maternity leave", "on parental leave", "on paternity leave", "on sick leave", "i am currently away", "i'm currently away", "no longer work", "no longer with the", "no longer employed", "has left the company",
    "not monitored", "no longer monitored", "unmonitored", "automatic reply", "automated reply", "automated response", "automatically generated", "auto-reply", "autoreply", "autoresponder", "limited access to e", "no access to e", "thank you for contacting", "has been received and", "we have received your", "we got your request",
    "nicht im büro", "nicht im haus", "ausser haus", "ausser büro", "bin ich abwesend", "im urlaub", "in elternzeit", "nicht erreichbar", "wieder erreichbar", "wieder für sie da", "nicht mehr im unternehmen", "automatisch generiert", "automatisch erstellt", "automatische antwort", "ist bei uns eingegangen", "nicht mehr betreut", "nicht mehr gelesen",
    "absent du bureau", "absente du bureau", "je suis absent", "en congé", "de retour le", "réponse automatique", "message automatique", "ne travaille plus", "bien reçu votre", "estoy de vacaciones", "fuera de la oficina", "no estoy en la oficina", "de vacaciones", "respuesta automática", "mensaje automático", "ya no trabaja", "hemos recibido su",
    "estou de férias", "fora do escritório", "ausente do escritório", "resposta automática", "mensagem automática", "não trabalha mais", "recebemos sua", "recebemos a sua", "fuori ufficio", "sono in ferie", "sarò assente", "risposta automatica", "messaggio automatico", "non lavora più", "abbiamo ricevuto",
    "ben ik afwezig", "ik ben afwezig", "niet op kantoor", "met vakantie", "op vakantie", "niet meer werkzaam", "automatisch antwoord", "automatisch gegenereerd", "på semester", "inte på kontoret", "är ledig", "på ferie", "ikke på kontoret", "lomalla", "en ole tavoitettavissa", "na urlopie", "poza biurem", "wiadomość automatyczna", "mimo kancelář", "na dovolen",
    "szabadságon", "în concediu", "izindeyim", "ofis dışında", "в отпуске", "не в офисе", "буду отсутствовать", "автоматический ответ", "у відпустці", "σε άδεια", "εκτόσ γραφείου", "休假中", "正在休假", "不在办公室", "自动回复", "不在にし", "休暇をいただ", "休暇中", "自動返信", "휴가 중", "휴가입니다", "부재중", "đang nghỉ", "sedang cuti",
)  # fmt: skip

#: Subjects under which mail programs confirm that a mail was opened or deleted, and what such a text says.
RECEIPT_SUBJECTS = (
    "read:", "not read:", "deleted:", "read receipt", "return receipt", "read notification", "message read", "message status - opened", "gelesen:", "nicht gelesen:", "ungelesen gelöscht:", "lesebestätigung", "empfangsbestätigung", "lu :", "lu:", "non lu :", "non lu:", "accusé de lecture", "accusé de réception",
    "confirmation de lecture", "leído:", "leido:", "no leído:", "confirmación de lectura", "acuse de recibo", "letto:", "non letto:", "conferma di lettura", "ricevuta di ritorno", "lida:", "lido:", "não lida:", "não lido:", "confirmação de leitura", "recibo de leitura", "gelezen:", "niet gelezen:", "leesbevestiging", "ontvangstbevestiging",
    "läst:", "oläst:", "läskvitto", "læst:", "ikke læst:", "lest:", "ikke lest:", "læsebekræftelse", "lesebekreftelse", "luettu:", "ei luettu:", "lukukuittaus", "przeczytane:", "przeczytano:", "nieprzeczytane:", "potwierdzenie przeczytania", "přečteno:", "nepřečteno:", "přečtené:", "potvrzení o přečtení", "elolvasva:", "citit:", "necitit:",
    "прочтено:", "прочитано:", "не прочтено:", "не прочитано:", "уведомление о прочтении", "подтверждение прочтения", "okundu:", "okunmadı:", "okundu bilgisi", "διαβάστηκε:", "開封済み:", "開封済み：", "未開封:", "開封確認", "已读:", "已读：", "已讀:", "已讀：", "未读:", "阅读回执", "读取回执", "已读回执", "讀取回條", "읽음:", "읽음：", "읽지 않음:", "수신 확인",
)  # fmt: skip
RECEIPT_TEXTS = (
    "was read on", "was read at", "was read by", "has been read", "was deleted without being read", "deleted without", "was opened", "was received by", "was displayed", "has been displayed", "this is a receipt for", "this is a return receipt", "return receipt for", "gelesen", "ungelesen gelöscht", "angezeigt", "wurde von", "a été lu", "a été supprimé", "a été affiché", "a été ouvert",
    "ha leído", "fue leído", "se ha leído", "leído el", "se eliminó sin", "ha sido leído", "è stato letto", "è stato eliminato", "stato visualizzato", "foi lida", "foi lido", "foi excluíd", "foi eliminad", "is gelezen", "gelezen op", "ongelezen verwijderd", "weergegeven", "lästes", "har lästs", "blev læst", "er læst", "ble lest", "er lest", "luettiin", "on luettu", "został", "przeczytan", "přečten",
    "elolvas", "a fost citit", "прочитано", "прочтено", "прочёл", "прочитал", "удалено без", "okundu", "διαβάστηκε", "開封され", "開封しました", "读取", "阅读", "已被", "讀取", "읽었", "읽음",
)  # fmt: skip

#: Words of challenges that ask the writer of a mail to prove something before it is let in.
CHALLENGES = (
    "confirm that you are a human", "confirm that you are human", "confirm you are human", "confirm you are a human", "prove that you are human", "prove you are human", "prove you are a human", "you are not a spammer", "you are a real person", "prove that you are a person", "prove you are a person", "verify that you are a real", "you are a real live human",
    "challenge-response", "challenge/response", "anti-spam verification", "your message requires confirmation", "confirm your email to deliver", "confirm the delivery of your message", "confirmation is required before", "to have your message delivered",
    "to release your message ", "to release your message.", "to release your message,", "to release your message:", "is protected by spamarrest", "spam arrest", "spamarrest", "boxtrapper", "email requires verification", "message requires verification", "requires your verification", "earthlink spamblocker", "protected by spamblocker", "your message will be delivered once", "message is being held until you", "message has been held until you",
    "allowed senders list", "list of allowed senders", "just this once, click", "protecting myself from receiving junk", "not a robot", "you are not a robot", "mailinblack", "confirmez votre message", "vous n'êtes pas un robot", "que vous êtes humain", "pour que votre message", "veuillez vous authentifier", "authentifier votre", "dass sie ein mensch", "kein roboter", "dass sie kein spammer", "n'êtes pas un spammeur", "no es un spammer", "non sei uno spammer", "geen spammer", "не спамер", "bestätigen sie bitte einmalig",
    "damit ihre nachricht zugestellt", "damit ihre e-mail zugestellt", "para que sua mensagem seja entregue", "para que a sua mensagem seja entregue", "não é um spammer", "não é um robô", "confirme o envio", "confirmação de envio", "antispam uol", "para que su mensaje sea entregado", "no es un robot", "no eres un robot", "es usted humano", "è un essere umano", "non sei un robot", "affinché il suo messaggio",
    "geen robot", "bent u een mens", "подтвердите, что вы", "не робот", "подтвердите отправку", "メッセージを配信するには", "确认您不是", "验证您的发件", "nie jest robotem", "nie jesteś robotem",
)  # fmt: skip
#: Words that only a mail which a program wrote in answer makes a challenge.
CHALLENGE_HINTS = (
    "sender verification", "verify your email by clicking", "verify#", "(verifying)", "requires confirmation", "confirm your message", "boxbe", "tmda", "bluebottle", "spamblocker", "choicemail", "mailblocks", "knowspam", "spamcap", "waiting list", "approved sender", "unknown sender", "has not been verified", "suspect email", "whitelist", "captcha",
)  # fmt: skip

#: Goods and services whose delivery fails as well as that of mail.
GOODS = (
    "parcel", "package", "shipment", "your order", "order #", "courier", "payment", "invoice payment", "voicemail", "voice mail", "fax", "sms", "text message", "backup", "paket", "sendung", "bestellung", "lieferung", "colis", "livraison", "commande", "paquete", "pedido", "encomenda", "pacco", "spedizione", "ordine",
    "pakket", "bestelling", "pakke", "paczk", "przesyłk", "zásilk", "balík", "csomag", "colet", "kargo", "посылк", "заказ", "荷物", "お届け物", "ご注文", "快递", "包裹", "订单", "택배", "주문", "webhook", "push notification", "build", "pipeline",
)  # fmt: skip

#: Mail programs that people write with, as X-Mailer and User-Agent name them.
MAIL_PROGRAMS = (
    "thunderbird", "mozilla", "seamonkey", "microsoft outlook", "microsoft office outlook", "outlook express", "microsoft-macoutlook", "macoutlook", "microsoft windows mail", "windows live mail", "windows mail", "apple mail", "iphone mail", "ipad mail", "roundcube", "k-9 mail", "mutt", "evolution", "kmail", "claws", "sylpheed", "squirrelmail", "internet messaging program", "horde",
    "lotus notes", "hcl notes", "ibm notes", "the bat!", "eudora", "alpine", "pine", "gnus", "wanderlust", "mew version", "becky", "airmail", "postbox", "em client", "emclient", "mailbird", "zimbra", "yahoomailwebservice", "webmail", "open-xchange mailer", "sogo", "rainloop", "snappymail", "foxmail", "pegasus mail", "entourage",
    "mailmate", "aerc", "turnpike", "geary", "fairemail", "nine", "bluemail", "spark", "coremail webmail", "zoho mail", "protonmail", "tutanota",
)  # fmt: skip

#: Addresses that programs write from, beside the daemons.
SERVICES = (
    "administrator", "root@", "admin@", "admin ", "noreply", "no-reply", "no_reply", "donotreply", "do-not-reply", "ndr@", "ndr ", "mail_service", "mail service", "mailservice", "system@", "service", "server", "gateway", "smtp", "mta@", "mx@", "filter", "scanner", "virus", "security", "imss", "robot", "listserv", "majordomo", "sympa", "-request@", "-owner@", "+owner@", "owner-",
    "notification", "alert", "systemadmin", "mail@", "email@", "e-mail@", "sysadm", "hostmaster", "helpdesk", "support@", "relay", "exchange", "domino", "system", "dienst", "служба", "系统", "システム",
)  # fmt: skip

#: Beginnings of the header fields of help desks, bug trackers and forums.
TRACKERS = (
    "x-jira", "x-atlassian", "x-zendesk", "x-freshdesk", "x-github", "x-gitlab", "x-gitea", "x-forgejo", "x-bugzilla", "x-discourse", "x-otrs", "x-rt-", "rt-ticket", "x-redmine", "x-launchpad", "x-debian-pr", "x-phabricator", "x-gerrit", "x-trac", "x-zammad", "x-helpscout", "x-intercom", "x-hubspot", "x-phpbb", "x-vbulletin",
    "x-asana", "x-sentry", "x-pagerduty", "x-servicenow", "x-kayako", "x-osticket", "x-salesforce", "x-sfdc",
)  # fmt: skip

#: Subjects of notices that a mail system writes about something else than a returned mail.
NOTICES = (
    "smtp server: errors from",
    "smtp client: errors from",
    "lmtp client: errors from",
    "log summary",
    "logwatch",
    "pflogsumm",
    "log report",
    "queue report",
    "daily report",
    "quarantine summary",
    "quarantine report",
    "quarantine digest",
    "quarantine notif",
    "quarantined messages",
    "messages quarantined",
    "almost full",
    "quota warning",
    "quota notification",
    "mailbox usage",
    "welcome to",
    "spam quarantine",
    "bounce summary",
    "bounce report",
    "undelivered messages in",
    "mail queue on",
    "dmarc aggregate",
    "tls report",
    "probe message",
    "report domain:",
    "uncaught bounce notification",
    "bounce action notification",
    "message frozen",
    "in mail from [",  # Amavis tells its administrator, also of mail that it lets pass
    "in mail from local [",
    "cron <",
    "mail statistics",
    "** problem",
    "** recovery",
    "spam digest",
    "awaits moderator approval",
    "nearly full",
    "is awaiting moderation",
)

#: Subjects of complaints that providers and abuse desks write in their own form, and who writes them.
COMPLAINTS = (
    "abuse report", "abuse complaint", "abuse notification", "abuse notice", "abuse-meldung", "abuse meldung", "complaint about", "complaint against", "complaint:", "spam complaint", "spam report", "complaint notification", "complaint from", "complaint feedback", "feedback report", "feedback loop", "email feedback",
    "unsolicited email", "unsolicited e-mail", "unsolicited bulk", "ube from", "spam from", "spamcop", "[abuse", "spam-beschwerde", "beschwerde über", "spam von", "plainte pour spam", "signalement de spam", "signal spam", "denuncia de spam", "denúncia de spam", "reclamação de spam", "segnalazione spam", "segnalazione di spam", "жалоба на спам", "жалоба на письмо", "垃圾邮件投诉", "迷惑メール",
)  # fmt: skip
COMPLAINERS = (
    "abuse", "fbl", "feedback", "complaint", "spamcop", "scomp", "staff@hotmail", "csa", "spam", "jmrp", "postmaster", "noreply", "no-reply", "cert@", "cert ", "trust", "security", "beschwerde",
)  # fmt: skip


#: Words that take back what ``SUCCESSES`` say.
DENIALS = ("not ", "fail", "error", "unable")

#: What the beginning and the subject of a report may say, as the bits that ``said`` and ``titled`` find.
(
    SAYS_FAILED, SAYS_DELAYED, SAYS_FINAL, SAYS_SUCCESS, SAYS_CHALLENGE, SAYS_CHALLENGE_HINT, SAYS_RETURNED, SAYS_NOTICE, SAYS_AUTO, SAYS_RECEIPT
) = (1 << bit for bit in range(10))  # fmt: skip
_SAYINGS = {
    SAYS_FAILED: TEXTS,
    SAYS_DELAYED: DELAYS,
    SAYS_FINAL: FINAL,
    SAYS_SUCCESS: SUCCESSES,
    SAYS_CHALLENGE: CHALLENGES,
    SAYS_CHALLENGE_HINT: CHALLENGE_HINTS,
}
_TITLES = {
    SAYS_RETURNED: SUBJECTS,
    SAYS_DELAYED: DELAYS,
    SAYS_NOTICE: NOTICES,
    SAYS_AUTO: AUTO_SUBJECTS,
    SAYS_RECEIPT: RECEIPT_SUBJECTS,
    SAYS_CHALLENGE: CHALLENGES,
    SAYS_CHALLENGE_HINT: CHALLENGE_HINTS,
}

_SHORT = 200  # characters of a text that is short: a subject, an author. Thousands of reports share them.


class _Search:
    """Tables of words, each known by a bit, that are looked for in one pass over a text. At each letter the automaton tries
    the first ones of all its words, one by one: so most texts, of ASCII, are searched for words of ASCII only.
    """

    def __init__(self, tables: Mapping[int, tuple[str, ...]]) -> None:
        self._bits: dict[str, int] = {}
        for bit, words in tables.items():
            for word in words:
                self._bits[word] = self._bits.get(word, 0) | bit
        self._automata: dict[bool, ahocorasick.Automaton] = {}

    def hits(self, text: str) -> Iterator[tuple[int, int]]:
        """The place and the bits of each word in ``text``."""
        ascii_ = text.isascii()
        automaton = self._automata.get(ascii_)
        if automaton is None:
            automaton = self._automata[ascii_] = ahocorasick.Automaton()
            for word, bits in self._bits.items():
                if not ascii_ or word.isascii():
                    automaton.add_word(word, bits)
            automaton.make_automaton()
        return cast("Iterator[tuple[int, int]]", automaton.iter(text))

    def bits(self, text: str) -> int:
        """The sum of the bits of all words in ``text``."""
        found = 0
        for _, bits in self.hits(text):
            found |= bits
        return found


def contains(text: str, words: tuple[str, ...]) -> bool:
    """Whether any of ``words`` stands in ``text`` (casefolded): one pass over it for all of them."""
    table = id(words)
    if table not in _TABLES:
        # By identity, and held: to hash a table of hundreds of words takes longer than to search for them.
        _TABLES[table] = words, _Search({1: words})
    return _in_short(text, table) if len(text) <= _SHORT else _in_text(text, table)


_TABLES: dict[int, tuple[tuple[str, ...], _Search]] = {}


def _in_text(text: str, table: int) -> bool:
    return next(_TABLES[table][1].hits(text), None) is not None


_in_short = lru_cache(maxsize=4096)(_in_text)

_said = _Search(_SAYINGS)
_titled = _Search(_TITLES)


def said(text: str) -> int:
    """What ``text`` (casefolded) says of all that a report may say, found in one pass: a sum of ``SAYS_`` bits."""
    return _said.bits(text)


def titled(subject: str) -> int:
    """What a subject (casefolded) calls a mail, as ``said`` tells it of a text."""
    return _short_title(subject) if len(subject) <= _SHORT else _titled.bits(subject)


_short_title = lru_cache(maxsize=4096)(_titled.bits)
