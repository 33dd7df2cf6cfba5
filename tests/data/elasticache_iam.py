#!/usr/bin/env python3
"""Writes elasticache_iam.json: tokens signed by hand, with nothing but hashlib and hmac.

    python3 tests/data/elasticache_iam.py > tests/data/elasticache_iam.json
"""
import hashlib
import hmac
import json
import sys
from urllib.parse import quote


def encode(text):
    return quote(text, safe="-_.~")


def token(case):
    credentials, date = case["credentials"], case["time"][:8]
    scope = f"{date}/{case['region']}/elasticache/aws4_request"
    query = {
        "Action": "connect",
        "User": case["user"],
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{credentials['access_key_id']}/{scope}",
        "X-Amz-Date": case["time"],
        "X-Amz-Expires": "900",
        "X-Amz-SignedHeaders": "host",
    }
    if case["serverless"]:
        query["ResourceType"] = "ServerlessCache"
    if credentials.get("session_token"):
        query["X-Amz-Security-Token"] = credentials["session_token"]
    host = case["cache_name"].lower()
    canonical_query = "&".join(sorted(f"{encode(k)}={encode(v)}" for k, v in query.items()))
    empty = hashlib.sha256(b"").hexdigest()
    canonical = f"GET\n/\n{canonical_query}\nhost:{host}\n\nhost\n{empty}"
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", case["time"], scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = ("AWS4" + credentials["secret_access_key"]).encode()
    for part in (date, case["region"], "elasticache", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    query["X-Amz-Signature"] = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    return host, query


long_lived = {
    "access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
}
session = {
    "access_key_id": "ASIAIOSFODNN7EXAMPLE",
    "secret_access_key": "AnotherSecret/With+Signs=AndMoreOfThem000",
    "session_token": "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJ+tok=en==",
}
cases = []
for cache_name, user, serverless, region, time, credentials in [
    ("prod-cache", "app-user", False, "us-east-1", "20261124T123618Z", long_lived),
    ("Prod-Cache-01", "app-user", False, "us-west-2", "20260101T000000Z", long_lived),
    ("answers", "iam-user-01", True, "eu-central-1", "20240229T235959Z", long_lived),
    ("prod-cache", "app-user", False, "ap-southeast-2", "20261231T235959Z", session),
    ("ANSWERS", "a", True, "cn-north-1", "20260704T040506Z", session),
]:
    case = {
        "cache_name": cache_name,
        "user": user,
        "serverless": serverless,
        "region": region,
        "time": time,
        "credentials": credentials,
    }
    host, query = token(case)
    cases.append({**case, "host": host, "query": query})
json.dump(cases, sys.stdout, indent=2)
print()
