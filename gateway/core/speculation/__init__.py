"""Answers for which a device drafts: what is verified, which drafts may pass, which came true.

Imports of core what lies in no room.
"""
