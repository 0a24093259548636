"""The tables, made of models.py by ``make tables``: what statements need of them, and no more."""

from dsn_processor.record.plaintables import plain_tables

metadata = plain_tables(
    {
        "sent_address": """
            id:int* address:text mailing_list:bool=false
        """,
        "sent_label": """
            id:int* words:text
        """,
        "sent_mail": """
            id:int* reference:big address_id:int message_id:text label_id:int
            sent_at:int delivered_at:int
        """,
        "delivery": """
            address:text* reference:big* delivered_at:int*
        """,
        "sent_domain": """
            domain:text* addresses:int
        """,
        "message": """
            id:int* identity:str received_at:time source:text envelope_sender:text
            envelope_recipients:json size:int truncated:bool=false state:str="received" attempts:int=0
            last_error:text codec:str raw:bytes
        """,
        "report": """
            message_id:int* kind:str header_message_id:text date:text from_:text
            subject:text reporting_mta:text original_envelope_id:text arrival_date:text returned_message:json
            feedback:json defects:json rules:str repeated:int=0 mode:str="observe"
        """,
        "recipient_event": """
            id:int* message_id:int identity:str kind:str occurred_at:time
            address:text canonical:text domain:text original:text action:str
            status:text reply_code:int diagnostic_code:text diagnostic_type:text explanation:text=""
            remote_mta:text smtp_command:text last_attempt_date:text will_retry_until:text bounce_category:text
            origin:str bounce_type:str reason:str scope:str confidence:float
            rule_id:str evidence:json block:json trust:str="unproved" proved_by:int
            matched_by:str mailed_address:text sent_message_id:text stream:text campaign:text
            tags:json findings:json about:big=0
        """,
        "counter": """
            name:str* value:int=0
        """,
        "mailbox_folder": """
            account:str* folder:text* uid_validity:big last_uid:big
        """,
        "mailbox_mail": """
            account:str* folder:text* uid:str* task:str unparsed:bool=false
            attempts:int=0
        """,
        "mailbox_account": """
            account:str* checked_at:time error:text error_at:time failing:bool=false
            next_try_at:time waiting:int=0 taken:int=0
        """,
        "left_mail": """
            identity:str*
        """,
        "attempt": """
            identity:str* at:time* trust:str*
        """,
        "address_state": """
            address:text* domain:text deliverability:str strikes:float messages:int
            first_strike_at:time last_strike_at:time last_success_at:time reason:str capped:bool=false
        """,
        "suppression": """
            address:text* kind:str* proposed:bool=false held:bool=false at:time
            until:time reason:text cause:str tier:int=1 author:text=""
            guarded:bool=false domain:text remote_mta:text="" hour:int
        """,
        "wave": """
            name:text* kind:str subject:text hour:int addresses:int
            decision:str=""
        """,
        "manual_act": """
            id:int* address:text at:time act:str kind:str
            until:time author:text reason:text
        """,
        "audit": """
            id:int* at:time author:text action:str address:text
            reason:text cause:str before:json after:json
        """,
        "alert": """
            name:text* kind:str subject:text number:int raised_at:time
        """,
        "endpoint": """
            id:int* name:str kind:str url:text format:str
            events:json filters:json key:text="" secret:str="" previous_secret:str=""
            previous_until:time enabled:bool=true why:text="" created_at:float paused_until:float
        """,
        "webhook": """
            id:int* endpoint_id:int message_id:str type:str address:text
            created_at:float state:str attempts:int=0 next_at:float attempted_at:float
            status:int error:text="" content_type:str headers:json body:bytes
        """,
    }
)
