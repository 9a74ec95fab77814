"""Sound to text: audio, voice detection, Whisper, live listening, captions, translation.

`SpeechRuntime` and `AsyncSpeechRuntime` are its doors.
Imports `runtime` and below.
"""
